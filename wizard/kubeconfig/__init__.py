"""The owner's kubeconfig: one cluster's access put into it and taken out again, everything else in it left as it is.

Nothing here prints a key, and what is not understood is refused rather than changed (Kubernetes documentation,
"Organizing Cluster Access Using kubeconfig Files"; k8s.io/client-go/tools/clientcmd/api/v1/types.go).
"""
