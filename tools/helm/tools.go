//go:build tools

// Package helm pins the helm that renders and checks the charts in the integration tests.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
