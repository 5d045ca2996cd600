"""Derivations shown: terminal, text, Markdown, HTML, graphs and curves."""
