# Slicer writes here what other extensions need to build upon this one; no other is built.
