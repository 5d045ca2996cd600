"""The intermediate representation: sizes, subscripts, expressions, statements, programs."""
