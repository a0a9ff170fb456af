"""The commands of `dayfly`, a file each."""
