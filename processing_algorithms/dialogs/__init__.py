"""What QGIS's dialogs ask for; only they import it, since qgis.gui is not there on servers."""
