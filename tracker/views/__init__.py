"""The pages, one module each: decorators, find, do, render."""
