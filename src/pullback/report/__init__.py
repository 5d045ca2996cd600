"""Derivations shown: terminal, text, Markdown, HTML, LaTeX, graphs and curves."""
