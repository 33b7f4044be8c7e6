"""Rotation measures of lines of sight: from position angles or from Q and U."""
