"""Between the library's volumes and series and the nodes of a MRML scene."""
