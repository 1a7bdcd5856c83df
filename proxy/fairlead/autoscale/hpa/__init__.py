"""The algorithm of the HorizontalPodAutoscaler, as its documentation says it and as recorded decisions confirm it."""
