"""MM-PHATE (Xie et al., "Multiway multislice PHATE", arXiv 2406.01969): training dynamics as one picture.

``kernel`` joins the nodes (epoch, step, unit), ``embed`` diffuses and lays them out, ``dynamics`` chooses the nodes.
"""
