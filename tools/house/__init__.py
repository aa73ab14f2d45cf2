"""The rules of the house: how the package's source may look, read from its text alone (see ``check_house.py``)."""
