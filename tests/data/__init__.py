"""Data sets: pictures, tables and points from everywhere."""
