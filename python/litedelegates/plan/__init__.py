"""Precision for each layer and a device for each part of a model, found from the records of layer studies."""
