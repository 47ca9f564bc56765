//go:build tools

// Package kube pins the kube-apiserver and kubectl that the integration tests run.
package kube

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
