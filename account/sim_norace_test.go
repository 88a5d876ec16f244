//go:build !race

package account_test

const simDefault = 300
