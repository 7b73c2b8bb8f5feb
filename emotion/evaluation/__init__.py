"""Predictions in, numbers out: members, views, averages, scores, tables."""
