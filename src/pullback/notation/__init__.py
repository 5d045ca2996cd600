"""Index notation: text to programs, and programs, expressions and statements to text."""
