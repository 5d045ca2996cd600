"""The only part that runs what was generated: loading source, and what a function reads besides
its arguments.
"""
