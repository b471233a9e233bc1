#ifndef SAMARA_NET_NET_MARK_H
#define SAMARA_NET_NET_MARK_H

/*
 * The header by which a request is known: random in each, and the same in its
 * answer.  What stands in between, keeps connections and once answers twice is one
 * answer late from then on; by this it is seen.
 */
#define NET_MARK	"X-Request-ID"
#define NET_MARK_LEN	8	/* random bytes of a client's, in hex */
#define NET_MARK_MAX	64	/* letters, digits and '-' that a server gives back */

#endif
