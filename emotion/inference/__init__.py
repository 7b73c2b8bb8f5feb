"""A model on pictures and videos: detectors, predictions, annotations, exports."""
