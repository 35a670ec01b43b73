"""homek8s-wizard: from bare NICs to a home Kubernetes cluster on libvirt guests."""

__version__ = "0.1.0"
