"""The doors: ARM over https, the token endpoint over http."""
