"""Maps of the displayed states, how far they can be trusted, and where other states lie in them."""

from rnnreport.analyses.projection.displayed import Guest, ProjectionParams, project
from rnnreport.analyses.projection.maps import principal_plane, tsne
from rnnreport.analyses.projection.measures import trust

__all__ = ["Guest", "ProjectionParams", "principal_plane", "project", "trust", "tsne"]
