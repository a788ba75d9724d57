"""Who is who, and who said what: certificates; what is signed with them; tokens and tickets."""
