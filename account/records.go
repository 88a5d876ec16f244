package account

import (
	"slices"
	"time"
)

// An entry holds the facts as the sources told them, in registers: of two words
// about one matter the newer one stands, whichever came first. What everybody
// sees of the account (state, why, affiliations, profile) is derived from them
// by settle. So any order and repetition of a person's events ends alike.

// Recency says which of two words of one source is newer; see compare.
type Recency struct {
	Time     time.Time `json:"time,omitzero"`
	Sequence uint64    `json:"sequence,omitempty"`
	Position uint64    `json:"position,omitempty"`
}

// Told is a person's profile as one source's newest full state has it.
type Told struct {
	Source, Subject string
	Recency
	Name       Name
	BirthDate  string
	Address    string
	Mobile     string
	Language   string
	Protection string
	Reserved   bool
}

// Ending is a source's newest word about the end of one role. ID "" means all
// roles of that subject. End is the last day, "2006-01-02". Cancelled: it never
// began, and End is empty.
type Ending struct {
	Source, Subject, ID string
	Recency
	End       string
	Reason    string
	Cancelled bool
}

// Matters that an Order can be about.
const (
	OrderLock        = "lock"
	OrderChange      = "change"
	OrderOpen        = "open"
	OrderDeceased    = "deceased"
	OrderCompromised = "compromised"
)

// Order is the newest word about one matter beside the roles. Until is the
// deadline of a change, and the expiry of an opening. By names who gave it, as
// the event does; it is for those who may read the entry.
type Order struct {
	What            string
	On              bool
	Until           time.Time
	Reason, By      string
	Source, Subject string
	Recency
}

// Order answers the newest word about a matter; the zero Order when there is
// none.
func (a Account) Order(what string) Order {
	for _, o := range a.Orders {
		if o.What == what {
			return o
		}
	}
	return Order{}
}

// order joins a word about a matter and says whether it is news. Words of two
// sources compare by time.
func (a *Account) order(o Order) bool {
	i := slices.IndexFunc(a.Orders, func(x Order) bool { return x.What == o.What })
	switch {
	case i < 0:
		a.Orders = append(a.Orders, o)
	case !a.Orders[i].older(o):
		return false
	default:
		a.Orders[i] = o
	}
	slices.SortFunc(a.Orders, func(x, y Order) int { return compare(x.What, y.What) })
	return true
}

func (o Order) older(than Order) bool {
	if o.Source == than.Source && o.Subject == than.Subject {
		return o.compare(than.Recency) < 0
	}
	if c := o.Time.Compare(than.Time); c != 0 {
		return c < 0
	}
	return o.Source < than.Source || o.Source == than.Source && o.Subject < than.Subject
}
