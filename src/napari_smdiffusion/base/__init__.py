"""Settings, events, errors, devices and files. All other rooms use this one, which depends on none of them."""
