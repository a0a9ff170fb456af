"""What a document may be and what reading it may cost. The room is one core and 2 GiB."""

CHUNK_CHARACTERS = 1000
"""The longest chunk."""

CHUNK_OVERLAP_CHARACTERS = 100
"""How many characters a chunk shares with the one before it, exactly."""

TEXT_MAX_CHARACTERS = 50_000_000
"""The longest text that one document may come to: about 55,000 chunks."""

TABLE_COLUMNS_MAX = 1000
"""The widest table that is written as markdown; wider ones are refused."""

ARCHIVE_ENTRIES_MAX = 10_000
"""Entries of a DOCX, PPTX or XLSX, which are zip archives."""

ARCHIVE_TOTAL_MAX_BYTES = 512 * 1024**2
"""All entries of an archive together, unpacked."""

ARCHIVE_RATIO_MAX = 200
"""Unpacked to packed size of an archive; deflate reaches 1032, real office files stay under 50."""

ARCHIVE_RATIO_FROM_BYTES = 32 * 1024**2
"""The ratio is judged from this unpacked size on: small files of blanks do no harm."""

ARCHIVE_XML_MAX_BYTES = 64 * 1024**2
"""One XML part that is read as a tree (DOCX, PPTX); a tree takes 5 to 10 times its size in memory."""

READER_MEMORY_MAX_BYTES = 1280 * 1024**2
"""Address space of the process that reads one document, with room left for those around it."""

READER_CPU_MAX_S = 300
"""Processor time of the process that reads one document; 2,400 pages of PDF take 2 s."""

BLOB_NAME_MAX_CHARACTERS = 1024
"""A blob's name (Azure's page "Naming and Referencing Containers, Blobs, and Metadata")."""

EMBEDDING_BATCH = 64
"""Chunks in one embeddings request; the API takes 2,048 inputs and 300,000 tokens."""

MODEL_CONCURRENCY = 4
"""Requests to the model service at a time, for one task."""

SUMMARY_PIECE_CHARACTERS = 24_000
"""How much text one summary request holds: about 6,000 tokens."""
