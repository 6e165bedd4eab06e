"""`entrepot demo`: the main job shown on one machine, with real parts and no internet."""
