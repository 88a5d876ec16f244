//go:build race

package account_test

// The race detector makes every step four times as dear, and one step runs at
// a time anyway.
const simDefault = 80

const orderDefault = 500

const brakedPeople = 500
