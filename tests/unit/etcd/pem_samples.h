// SPDX-License-Identifier: Apache-2.0
// Two self-signed certificates with their keys, made for the tests alone; nothing trusts them.
#pragma once

namespace rosterd::testing {

inline constexpr char kCertificateOne[] = R"(
-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUNYAO4sjS1zozOXgyU/9+4UKDv3wwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb25lMCAXDTI2MTEyMjIyNTcyMVoYDzIxMjYxMDI5MjI1NzIx
WjAOMQwwCgYDVQQDDANvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASbffjg
RkIWWjej0sYuXlJfqBpdylvwU7EDfxldyPbeNBMvt+HnWhbQyQ569/r7egVvB803
IJ/RxPwdVUA6qahro1MwUTAdBgNVHQ4EFgQUQoyp0/eyqpXzMi8q5EUUz3D+9wEw
HwYDVR0jBBgwFoAUQoyp0/eyqpXzMi8q5EUUz3D+9wEwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiALX4qaxj4i3EMdMygGEdkwgpkJMZ4bRwZeEr2a
x+4l0gIhAJZYQmCjvU2QmwGoVWsxhsHJv+9EPSuSQCUfYo6CUFhd
-----END CERTIFICATE-----
)";
inline constexpr char kKeyOne[] = R"(
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGjoMp0G2bA+gv6Hd
oJPSs6vY2zBWRf/Euxraf1mtZR6hRANCAASbffjgRkIWWjej0sYuXlJfqBpdylvw
U7EDfxldyPbeNBMvt+HnWhbQyQ569/r7egVvB803IJ/RxPwdVUA6qahr
-----END PRIVATE KEY-----
)";
inline constexpr char kCertificateTwo[] = R"(
-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUUD9PvZTZaDwPTkedm3zYFwyRPVkwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDdHdvMCAXDTI2MTEyMjIyNTcyMVoYDzIxMjYxMDI5MjI1NzIx
WjAOMQwwCgYDVQQDDAN0d28wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASHsrGS
xzVo1VhOpuarduGx8hTVlnlxNWrA55mLugAXVev9rYgKwP3bSKMycNygKpToKRfS
eVIQYZ9xt5iSt9Uco1MwUTAdBgNVHQ4EFgQUrbiAywtPi+WEc39fB7HyWWP3c1ow
HwYDVR0jBBgwFoAUrbiAywtPi+WEc39fB7HyWWP3c1owDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiB+V51rkcXDGdA2O84LcTYpnBrefGJ8pm6H95uu
aG4Q7QIgcVA8YP4KicO2TH2+j7f+qqnaFi8AtWO7yqXqM6E6PWQ=
-----END CERTIFICATE-----
)";
inline constexpr char kKeyTwo[] = R"(
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgt6uCT0s92ahvKjZi
WpNep73W8zjBo+eiP+r5sCcrTJOhRANCAASHsrGSxzVo1VhOpuarduGx8hTVlnlx
NWrA55mLugAXVev9rYgKwP3bSKMycNygKpToKRfSeVIQYZ9xt5iSt9Uc
-----END PRIVATE KEY-----
)";

}  // namespace rosterd::testing
