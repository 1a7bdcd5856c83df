"""What a HorizontalPodAutoscaler scales on: figures of a sliding window, told by the metrics APIs of Kubernetes."""
