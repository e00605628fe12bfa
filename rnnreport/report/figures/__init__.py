"""One function per figure: from a result to a Bokeh model. No computing, no files.

Sources that follow the reader's selection start empty and are filled by ``templates/assets``; the names given to
models and columns here are the interface between the two.
"""
