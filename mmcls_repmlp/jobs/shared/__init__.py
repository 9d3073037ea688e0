"""What jobs share: configs, data, models, classes, pictures."""
