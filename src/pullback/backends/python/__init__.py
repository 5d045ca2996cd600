"""What every backend that writes Python shares: names, sizes, precedence, long lines."""
