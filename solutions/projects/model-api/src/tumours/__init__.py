"""Tell malignant from benign tumours."""
