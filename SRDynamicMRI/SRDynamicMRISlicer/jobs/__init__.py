"""Work in the background: requests to the library, done in processes of their own."""
