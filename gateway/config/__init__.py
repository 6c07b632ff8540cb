"""Configuration: an INI file in, one frozen `Config` or the list of everything that is wrong with it out.

`load` is the only way in. Nothing outside this package sees a string that should be a number, a path or an address.
See also: ini.py (text), model/ (what may be set), build.py (text to model), checks/ (rules over several settings)."""
