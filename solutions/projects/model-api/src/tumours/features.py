"""What the model looks at: eight measurements, each with the bounds that a microscope can give."""

BOUNDS = {
    "radius": (1.0, 50.0),
    "texture": (1.0, 80.0),
    "perimeter": (5.0, 300.0),
    "area": (5.0, 5000.0),
    "smoothness": (0.0, 1.0),
    "compactness": (0.0, 2.0),
    "concavity": (0.0, 2.0),
    "symmetry": (0.0, 1.0),
}
NAMES = tuple(BOUNDS)
