ALTER TABLE api_keys DROP permissions;
