#ifndef SAMARA_NET_TLS_PIN_H
#define SAMARA_NET_TLS_PIN_H

/* Private to common/net. */

#include <stdint.h>

struct gnutls_x509_crt_int;

/* The pin of a certificate's key (tls_key.h): 0, or GnuTLS's error. */
int tls_pin_of(struct gnutls_x509_crt_int *crt, uint8_t pin[32]);

#endif
