"""A plan as files, and the pipeline that runs them on one machine or several."""
