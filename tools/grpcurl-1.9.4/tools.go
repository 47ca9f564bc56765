//go:build tools

// Package grpcurl pins grpcurl 1.9.4, an operator's client in the integration tests.
package grpcurl

import _ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
