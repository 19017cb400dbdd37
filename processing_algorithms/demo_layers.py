"""Loads the demo area: its layers in a group, in order, with their styles."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
)

from .styles import StylePostProcessor, kept

STYLES = {
    "LANDSLIDES": "inventory",
    "FAULTS": "faults",
    "RIVERS": "lines",
    "IMAGE": "natural colours",
    "GEOLOGY": "geology",
    "DEM": "relief",
}
"""Output of the algorithm to its style, from the top of the map to the bottom."""
_FOLDER, _PLACE = "landslide/folder", "landslide/place"


class DemoPostProcessor(StylePostProcessor):
    """Styles a layer of the demo area and puts it in its place in the area's group.

    Args:
        key: of the output.
        folder: of the area.
        title: of the group.
    """

    def __init__(self, key: str, folder: str, title: str) -> None:
        super().__init__(STYLES[key])
        self._place = list(STYLES).index(key)
        self._folder, self._title = folder, title

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style and move the layer; Processing calls this in the main thread, in any order."""
        super().postProcessLayer(layer, context, feedback)
        root = context.project().layerTreeRoot()
        node = root.findLayer(layer.id())
        if node is None:
            return
        group = self._group(root)
        above = [item for item in group.children() if _place(item) < self._place]
        moved = node.clone()
        moved.setCustomProperty(_PLACE, self._place)
        moved.setExpanded(False)
        group.insertChildNode(len(above), moved)
        node.parent().removeChildNode(node)

    def _group(self, root: QgsLayerTreeGroup) -> QgsLayerTreeGroup:
        for group in root.findGroups():
            if group.customProperty(_FOLDER) == self._folder:
                return group
        group = root.insertGroup(0, self._title)
        group.setCustomProperty(_FOLDER, self._folder)
        return group


def load(
    values: dict[str, Any], names: dict[str, str], title: str, context: QgsProcessingContext
) -> None:
    """Have the layers loaded after the run; nothing is where there is no project.

    Args:
        values: what the algorithm returns.
        names: of the layers, by output.
        title: of their group.
        context: of the run.
    """
    project = context.project()
    if project is None:
        return
    for key in STYLES:
        details = QgsProcessingContext.LayerDetails(names[key], project, key)
        details.forceName = True
        details.setPostProcessor(kept(DemoPostProcessor(key, values["FOLDER"], title)))
        context.addLayerToLoadOnCompletion(values[key], details)


def _place(item: Any) -> int:
    return int(item.customProperty(_PLACE, -1))
