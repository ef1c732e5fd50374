"""Work in the background: command lines of the library in processes of their own."""
