"""What decides all that the panel shows and allows; knows neither Qt nor MRML."""
