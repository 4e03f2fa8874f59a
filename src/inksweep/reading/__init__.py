"""From a picture of handwritten digits to what they say. It knows neither torch nor how a classifier was made."""
