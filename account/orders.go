package account

// Why an order of IT's was not done, as its audit fact says.
const (
	DeniedAlready   = "already"    // it is so already
	DeniedOlder     = "older"      // a newer order about the same matter stands
	DeniedClosed    = "closed"     // nothing raises a closed account
	DeniedLocked    = "suspended"  // for another reason than this order could mend
	DeniedNoRole    = "no_role"    // nothing to be invited to
	DeniedNoNumber  = "no_number"  // nothing to prove with
	DeniedNoAddress = "no_address" // nowhere to write to
	DeniedNoWay     = "inside"     // the only address lies behind the account itself
)
