import { GoBgpRouter } from '../kit/routers/gobgp.ts';
import { tellRouterStories } from './router-stories.ts';

tellRouterStories((lab) => new GoBgpRouter(lab.theirs.name));
