"""The book: a static site of layers, each derived, drawn, checked and measured."""

from .book import write_book
from .subject import Subject, subjects

__all__ = ["Subject", "subjects", "write_book"]
