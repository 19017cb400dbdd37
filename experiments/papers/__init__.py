"""Tables of the sources, trained anew with the engine's own commands on real data.

`python -m experiments.papers TABLE [--quick] [--seeds 0 1 2] [--out FOLDER]`
"""
